# Runs inside Znuny's own Perl, fed by console.py: after the line __END__ one JSON request a line, one JSON answer a line.
# Znuny's modules are used wherever they offer the deed, so that checks, events and caches are theirs.
use strict;
use warnings;
use utf8;

use JSON::PP ();
use Kernel::System::ObjectManager ();

$| = 1;
binmode main::DATA;
binmode STDOUT;
my $JSON = JSON::PP->new()->utf8()->canonical()->allow_nonref();
local $Kernel::OM = Kernel::System::ObjectManager->new( 'Kernel::System::Log' => { LogPrefix => 'migrator' } );
my ( $Root, $Valid ) = ( 1, 1 );

# Addresses were checked by the desk they come from; a look-up of the mail exchanger for each would refuse old ones.
$Kernel::OM->Get('Kernel::Config')->Set( Key => 'CheckEmailAddresses', Value => 0 );

sub rows {
    my ($Asked) = @_;
    my $DB = $Kernel::OM->Get('Kernel::System::DB');
    my @Values = @{ $Asked->{values} || [] };
    $DB->Prepare( SQL => $Asked->{sql}, Bind => [ map { \$_ } @Values ] ) or die "refused\n";
    my @Names = map {lc} $DB->GetColumnNames();
    my @Rows;
    while ( my @Row = $DB->FetchrowArray() ) {
        my %Named;
        @Named{@Names} = map { defined $_ ? "$_" : undef } @Row;
        push @Rows, \%Named;
    }
    return \@Rows;
}

sub one {
    my ( $SQL, @Values ) = @_;
    my $Found = rows( { sql => $SQL, values => \@Values } );
    return @{$Found} ? $Found->[0]->{id} : undef;
}

sub field {
    my ($Asked) = @_;
    my %Config = ( DefaultValue => '' );
    $Config{DefaultValue} = 0 if $Asked->{type} eq 'Checkbox';
    %Config = ( DefaultValue => 0, YearsPeriod => 0, YearsInFuture => 5, YearsInPast => 5, Link => '' )
        if $Asked->{type} =~ m{\ADate};
    if ( $Asked->{options} ) {
        $Config{PossibleValues} = { map { $_ => $_ } @{ $Asked->{options} } };
        %Config = ( %Config, PossibleNone => 1, TranslatableValues => 0, TreeView => 0 );
    }
    my $Last = rows( { sql => 'SELECT max(field_order) AS id FROM dynamic_field' } )->[0]->{id} || 0;
    return $Kernel::OM->Get('Kernel::System::DynamicField')->DynamicFieldAdd(
        Name       => $Asked->{name},
        Label      => $Asked->{label},
        FieldOrder => $Last + 1,
        FieldType  => $Asked->{type},
        ObjectType => $Asked->{object},
        Config     => \%Config,
        ValidID    => $Valid,
        UserID     => $Root,
    );
}

sub queue {
    my ($Asked) = @_;
    my $Group = one( 'SELECT id FROM permission_groups WHERE name = ?', $Asked->{group} );
    die "there is no permission group '$Asked->{group}'\n" if !$Group;
    return $Kernel::OM->Get('Kernel::System::Queue')->QueueAdd(
        Name            => $Asked->{name},
        Comment         => $Asked->{comment},
        GroupID         => $Group,
        ValidID         => $Valid,
        SystemAddressID => one('SELECT min(id) AS id FROM system_address WHERE valid_id = 1'),
        SalutationID    => one('SELECT min(id) AS id FROM salutation WHERE valid_id = 1'),
        SignatureID     => one('SELECT min(id) AS id FROM signature WHERE valid_id = 1'),
        FollowUpID      => 1,
        FollowUpLock    => 0,
        UnlockTimeout   => 0,
        UserID          => $Root,
    );
}

sub company {
    my ($Asked) = @_;
    return $Kernel::OM->Get('Kernel::System::CustomerCompany')->CustomerCompanyAdd(
        CustomerID             => $Asked->{id},
        CustomerCompanyName    => $Asked->{name},
        CustomerCompanyComment => $Asked->{comment},
        ValidID                => $Valid,
        UserID                 => $Root,
    );
}

sub customer {
    my ($Asked) = @_;
    return $Kernel::OM->Get('Kernel::System::CustomerUser')->CustomerUserAdd(
        Source         => 'CustomerUser',
        UserFirstname  => $Asked->{first_name},
        UserLastname   => $Asked->{last_name},
        UserCustomerID => $Asked->{customer_id},
        UserLogin      => $Asked->{login},
        UserEmail      => $Asked->{email},
        UserPhone      => $Asked->{phone},
        UserComment    => $Asked->{comment},
        ValidID        => $Valid,
        UserID         => $Root,
    );
}

sub agent {
    my ($Asked) = @_;
    my $ID = $Kernel::OM->Get('Kernel::System::User')->UserAdd(
        UserFirstname => $Asked->{first_name},
        UserLastname  => $Asked->{last_name},
        UserLogin     => $Asked->{login},
        UserEmail     => $Asked->{email},
        ValidID       => $Valid,
        ChangeUserID  => $Root,
    );
    return if !$ID;
    my $Group = one( 'SELECT id FROM permission_groups WHERE name = ?', $Asked->{group} );
    if ($Group) {
        $Kernel::OM->Get('Kernel::System::Group')->PermissionGroupUserAdd(
            GID        => $Group,
            UID        => $ID,
            Permission => { rw => 1 },
            UserID     => $Root,
        );
    }
    return $ID;
}

# A service is known by its whole name; what it is part of has to be there already.
sub service {
    my ($Asked) = @_;
    my $Service = $Kernel::OM->Get('Kernel::System::Service');
    my ( $Above, $Name ) = $Asked->{name} =~ m{\A(?:(.+)::)?(.+)\z}s;
    my $Parent = defined $Above ? one( 'SELECT id FROM service WHERE name = ?', $Above ) : undef;
    die "there is no service '$Above', which it is part of\n" if defined $Above && !$Parent;
    my $ID = $Service->ServiceAdd(
        Name        => $Name,
        ParentID    => $Parent,
        Comment     => $Asked->{comment},
        ValidID     => $Asked->{valid},
        TypeID      => 1,
        Criticality => '3 normal',
        UserID      => $Root,
    );
    return if !$ID;
    service_customer( { service => $ID, login => '<DEFAULT>' } ) if $Asked->{everyone};
    return $ID;
}

sub service_customer {
    my ($Asked) = @_;
    return $Kernel::OM->Get('Kernel::System::Service')->CustomerUserServiceMemberAdd(
        CustomerUserLogin => $Asked->{login},
        ServiceID         => $Asked->{service},
        Active            => 1,
        UserID            => $Root,
    );
}

sub sla {
    my ($Asked) = @_;
    return $Kernel::OM->Get('Kernel::System::SLA')->SLAAdd(
        Name                => $Asked->{name},
        Comment             => $Asked->{comment},
        ServiceIDs          => $Asked->{services},
        FirstResponseTime   => $Asked->{first_response_time},
        FirstResponseNotify => $Asked->{first_response_notify},
        UpdateTime          => $Asked->{update_time},
        UpdateNotify        => $Asked->{update_notify},
        SolutionTime        => $Asked->{solution_time},
        SolutionNotify      => $Asked->{solution_notify},
        ValidID             => $Asked->{valid},
        TypeID              => 1,
        UserID              => $Root,
    );
}

sub linked {
    my ($Asked) = @_;
    return $Kernel::OM->Get('Kernel::System::LinkObject')->LinkAdd(
        SourceObject => 'Ticket',
        SourceKey    => $Asked->{source},
        TargetObject => 'Ticket',
        TargetKey    => $Asked->{target},
        Type         => $Asked->{type},
        State        => 'Valid',
        UserID       => $Root,
    );
}

sub delete_ticket {
    my ($Asked) = @_;
    return $Kernel::OM->Get('Kernel::System::Ticket')->TicketDelete( TicketID => $Asked->{id}, UserID => $Root );
}

# The caches of the processes that serve the web are these files.
sub forget {
    my ($Asked) = @_;
    my $Cache = $Kernel::OM->Get('Kernel::System::Cache');
    $Cache->CleanUp( Type => $_ ) for @{ $Asked->{types} };
    return 1;
}

sub notifications {
    my ($Asked) = @_;
    my $DB = $Kernel::OM->Get('Kernel::System::DB');
    for my $ID ( @{ $Asked->{ids} } ) {
        my $State = $Asked->{valid} ? 1 : 2;
        $DB->Do( SQL => 'UPDATE notification_event SET valid_id = ? WHERE id = ?', Bind => [ \$State, \$ID ] )
            or die "refused\n";
    }
    return forget( { types => ['NotificationEvent'] } );
}

# JobAdd makes a row for each value and does not say when one was refused: all of them, or none.
sub job {
    my ($Asked) = @_;
    my $Agent = $Kernel::OM->Get('Kernel::System::GenericAgent');
    my %Held  = $Agent->JobGet( Name => $Asked->{name} );
    die "there is a job of that name\n" if %Held;
    my $Handle = $Kernel::OM->Get('Kernel::System::DB')->Connect() or die "refused\n";
    $Handle->begin_work() or die "refused\n";
    my $Count = 0;
    $Count += ref $_ ? @{$_} : 1 for values %{ $Asked->{data} };
    my $Made = eval {
        $Agent->JobAdd( Name => $Asked->{name}, Data => $Asked->{data}, UserID => $Root )
            && one( 'SELECT COUNT(*) AS id FROM generic_agent_jobs WHERE job_name = ?', $Asked->{name} );
    };
    if ( !$Made || $Made != $Count || !$Handle->commit() ) {
        $Handle->rollback();
        forget( { types => ['GenericAgent'] } );
        die "refused\n";
    }
    return forget( { types => ['GenericAgent'] } );
}

sub job_valid {
    my ($Asked) = @_;
    my $Valid = $Asked->{valid} ? 1 : 0;
    $Kernel::OM->Get('Kernel::System::DB')->Do(
        SQL  => q{UPDATE generic_agent_jobs SET job_value = ? WHERE job_name = ? AND job_key = 'Valid'},
        Bind => [ \$Valid, \$Asked->{name} ],
    ) or die "refused\n";
    return forget( { types => ['GenericAgent'] } );
}

sub job_gone {
    my ($Asked) = @_;
    return $Kernel::OM->Get('Kernel::System::GenericAgent')->JobDelete( Name => $Asked->{name}, UserID => $Root );
}

my %Deeds = (
    job           => \&job,
    job_valid     => \&job_valid,
    job_gone      => \&job_gone,
    rows          => \&rows,
    field         => \&field,
    queue         => \&queue,
    company       => \&company,
    customer      => \&customer,
    agent         => \&agent,
    service       => \&service,
    sla           => \&sla,
    linked        => \&linked,
    delete_ticket => \&delete_ticket,
    customer_of   => \&service_customer,
    forget        => \&forget,
    notifications => \&notifications,
    hello         => sub { return $Kernel::OM->Get('Kernel::Config')->Get('Version') },
);

while ( my $Line = <main::DATA> ) {
    my $Said;
    {
        # What Znuny prints belongs to nobody here.
        open my $Out, '>&', \*STDOUT or die;    ## no critic
        local *STDOUT = *STDERR;
        my $Made = eval {
            my $Asked = $JSON->decode($Line);
            my $Deed = $Deeds{ $Asked->{deed} } or die "no such deed\n";
            my $Result = $Deed->($Asked);
            $Kernel::OM->ObjectEventsHandled() if $Kernel::OM->can('ObjectEventsHandled');
            die "refused\n" if !defined $Result;
            { ok => $Result };
        };
        my $Why = $@;
        $Said = $Made || { error => $Why };
        if ( !$Made ) {
            my $Told = $Kernel::OM->Get('Kernel::System::Log')->GetLogEntry( Type => 'error', What => 'Message' );
            $Said = { error => $Why =~ m{\Arefused} && $Told ? $Told : $Why };
        }
    }
    print $JSON->encode($Said), "\n";
}
